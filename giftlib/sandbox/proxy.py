"""An HTTP proxy that gives every request to a sandbox, whatever its host: for programs whose address is fixed.

A program needs two things: the proxy (`HTTPS_PROXY`), and the certificate of the authority that signs for every host.
"""

import ssl
from functools import cache


class Proxy:
    """The proxy that a sandbox is at `url`. ValueError without trustme.

    `certificate` is the authority's, in PEM. It is made anew each time, and its key is nowhere but in memory.
    """

    def __init__(self, url: str) -> None:
        try:
            import trustme
        except ModuleNotFoundError as error:
            raise ValueError(f'a proxy needs {error.name}: pip install "giftlib[proxy]"') from None
        self.url = url
        self._authority = trustme.CA(organization_name="giftlib sandbox")
        self.certificate: bytes = self._authority.cert_pem.bytes()
        self.context_for = cache(self._new_context)

    def _new_context(self, host: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._authority.issue_cert(host).configure_cert(context)
        return context
