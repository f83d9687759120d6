#!/bin/sh
# Writes down which cluster it is for, which stores are measured beside it and where its samples go too, and runs on the
# task's own disk.
set -eu
sed -e "s|@CLUSTER@|$CLUSTER_ARN|" -e "s|@STACK@|$STACK|" /etc/slipway/prometheus.yml >/tmp/prometheus.yml
for store in ${STORES:-}; do
    sed -e "s|@STACK@|$STACK|" "/etc/slipway/$store.yml" >>/tmp/prometheus.yml
done
if [ -n "${REMOTE_WRITE:-}" ]; then
    sed -e "s|@REMOTE_WRITE@|$REMOTE_WRITE|" -e "s|@REGION@|$AWS_REGION|" \
        /etc/slipway/remote_write.yml >>/tmp/prometheus.yml
fi
exec prometheus \
    --config.file=/tmp/prometheus.yml \
    --storage.tsdb.path=/tmp/prometheus \
    --storage.tsdb.retention.time="$RETENTION" \
    --storage.tsdb.retention.size="$RETENTION_SIZE" \
    --enable-feature=exemplar-storage \
    --web.listen-address=0.0.0.0:9090
