#!/bin/sh
# Writes down which cluster it is for, and runs on the task's own disk.
set -eu
sed -e "s|@CLUSTER@|$CLUSTER_ARN|" -e "s|@STACK@|$STACK|" /etc/slipway/prometheus.yml >/tmp/prometheus.yml
exec prometheus \
    --config.file=/tmp/prometheus.yml \
    --storage.tsdb.path=/tmp/data \
    --storage.tsdb.retention.time="$RETENTION" \
    --storage.tsdb.retention.size="$RETENTION_SIZE" \
    --enable-feature=exemplar-storage \
    --web.listen-address=0.0.0.0:9090
