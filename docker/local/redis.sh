#!/bin/sh
# As the official image: options alone mean redis-server, which does not run as root.
set -e
case "${1:-}" in -* | *.conf) set -- redis-server "$@" ;; esac
[ $# -gt 0 ] || set -- redis-server
if [ "$1" = redis-server ] && [ "$(id -u)" = 0 ]; then
    mkdir -p /data && chown redis:redis /data && cd /data
    # Debian's build is in protected mode when no address is given; the official image's is not.
    exec gosu redis "$@" --protected-mode no
fi
exec "$@"
