#!/bin/sh
# Chromium and bubblewrap for the browser and jail tests: installed where we may (root on Debian), else asked for.
missing=
command -v chromium >/dev/null 2>&1 || command -v chromium-browser >/dev/null 2>&1 \
    || command -v google-chrome >/dev/null 2>&1 || missing="$missing chromium"
if [ "$(uname)" = Linux ]; then
    command -v bwrap >/dev/null 2>&1 || missing="$missing bubblewrap"
fi
[ -n "$missing" ] || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing$missing"
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $missing >/dev/null && exit 0
fi
echo "not found:$missing. The tests that need them are skipped. On Debian and Ubuntu: sudo apt-get install$missing"
