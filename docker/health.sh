#!/bin/bash
# health.sh - exits with 0 when the bridge in this container says that it is healthy. There is no
# HTTP client in the image; bash can open a connection by itself. WEB_PORT is the port of
# --web.listen-address. A bridge that asks for a password answers, too.
exec 3<>"/dev/tcp/127.0.0.1/${WEB_PORT:-9102}" || exit 1
printf 'GET /-/healthy HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' >&3
read -r -t 3 -u 3 _ status _ && case "$status" in 200 | 401) ;; *) exit 1 ;; esac
