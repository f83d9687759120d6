#!/bin/sh
# Writes down which topic it tells. Its AWS client is older than AWS_ENDPOINT_URL, so that is said here.
set -eu
endpoint=${AWS_ENDPOINT_URL_SNS:-${AWS_ENDPOINT_URL:-}}
sed -e "s|@TOPIC@|$TOPIC_ARN|" -e "s|@REGION@|$AWS_REGION|" -e "s|@ENDPOINT@|$endpoint|" \
    /etc/slipway/alertmanager.yml >/tmp/alertmanager.yml
exec alertmanager \
    --config.file=/tmp/alertmanager.yml \
    --storage.path=/tmp/alertmanager \
    --cluster.listen-address= \
    --web.listen-address=127.0.0.1:9093
