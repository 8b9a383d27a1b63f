#!/usr/bin/env bash
# Builds the package and tries it as somebody who installs it does: in an empty environment, outside the checkout.
set -euo pipefail
cd "$(dirname "$0")/.."
python="$PWD/.venv/bin/python"
folder=$(mktemp -d)
trap 'kill %1 2> /dev/null || true; rm -rf "$folder"' EXIT
grep -v '^-e' requirements.txt > "$folder/pins.txt"

"$python" -m uv build --quiet --out-dir "$folder/dist"
"$python" -m uv venv --quiet --python "$python" "$folder/tools"
"$python" -m uv pip install --quiet --python "$folder/tools" twine
"$folder/tools/bin/twine" check --strict "$folder"/dist/*

cd "$folder"
install() { "$python" -m uv pip install --quiet --python "$folder/empty" --constraint pins.txt "$1"; }
giftlib() { "$folder/empty/bin/giftlib" "$@"; }
fails_with() { # TEXT COMMAND...: it must fail with one line that holds the text
    local text=$1 lines
    shift
    if lines=$("$@" 2>&1); then echo "should have failed: $*" && return 1; fi
    [[ $lines == *"$text"* && $(wc -l <<< "$lines") == 1 ]] || { echo "$lines" && return 1; }
}
"$python" -m uv venv --quiet --python "$python" empty
wheel=$(echo dist/*.whl)

install "$wheel"
giftlib --version
empty/bin/python - <<'END'
from giftlib import Journal, connect, handle_order_result, place_order, poll_order_until_complete

connect()
journal = Journal("orders.sqlite")
order_id = place_order("507f1f77bcf86cd799439011", "TEST_PARTIAL", 4, journal=journal)
order = poll_order_until_complete(order_id, journal=journal)
handle_order_result(order)
journal.close()
END
empty/bin/giftlib sandbox --port 0 > address &
until [ -s address ]; do sleep 0.1; done
url=$(sed -n "s/^export ONECLICKDZ_BASE_URL=//p" address)/v3
empty/bin/python -c 'import sys, requests; requests.get(sys.argv[1], timeout=9).raise_for_status()' "$url/ping"
kill %1 && wait %1

fails_with "come with its source" giftlib report
fails_with 'pip install "giftlib[proxy]"' giftlib sandbox --port 0 --proxy ca.pem
fails_with 'pip install "giftlib[notebooks]"' giftlib report --journal orders.sqlite

install "$wheel[notebooks]"
giftlib report --journal orders.sqlite --out again
test -s again/index.html
