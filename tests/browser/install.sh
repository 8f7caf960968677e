#!/bin/sh
# Make sure that there is a Chromium for the browser tests: the machine's, Debian's package, or Playwright's download.
set -eu
python="$(dirname "$0")/../../.venv/bin/python"

found() {
    for name in chromium chromium-browser google-chrome; do
        # Asking for the version also tells a real browser from Ubuntu's placeholder that only points at a snap.
        command -v "$name" >/dev/null 2>&1 && "$name" --version >/dev/null 2>&1 && return 0
    done
    "$python" -c 'import os, sys
from playwright.sync_api import sync_playwright
with sync_playwright() as playwright:
    sys.exit(not os.path.exists(playwright.chromium.executable_path))'
}

found && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo 'evalhub | installing Chromium with apt-get'
    DEBIAN_FRONTEND=noninteractive apt-get update -qq &&
        DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium >/dev/null || true
    found && exit 0
fi
echo 'evalhub | downloading Chromium with Playwright'
if [ "$(id -u)" = 0 ]; then
    "$python" -m playwright install --with-deps chromium || "$python" -m playwright install chromium
else
    "$python" -m playwright install chromium
fi
