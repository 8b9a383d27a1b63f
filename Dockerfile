# The emulator for tests in containers: docker build -t giftlib . && docker run -p 8080:8080 giftlib --control
FROM python:3.12-slim
COPY pyproject.toml README.md LICENSE /src/
COPY giftlib /src/giftlib
RUN pip install --no-cache-dir /src && rm -r /src && useradd --create-home sandbox
USER sandbox
EXPOSE 8080
ENTRYPOINT ["giftlib", "sandbox", "--host", "0.0.0.0", "--port", "8080"]
