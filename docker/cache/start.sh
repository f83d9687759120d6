#!/bin/sh
# The configuration comes on standard input: no list of processes shows the password.
exec redis-server - <<CONFIGURATION
bind 127.0.0.1
port 6379
dir /tmp
save ""
appendonly no
maxmemory 64mb
maxmemory-policy allkeys-lru
requirepass $REDIS_PASSWORD
CONFIGURATION
