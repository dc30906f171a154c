#!/bin/sh
# Starts the server of one Complement container. It may be run any number of times: data stays in /data, which is no
# volume, because Complement makes images of containers that have served.
#
# The image may hold nothing but sh, openssl and tertulia, so nothing else is called here.
set -eu
export SERVER_NAME

# A new one every time: the suite may have made a new authority since the image was committed.
openssl req -x509 -config /etc/tertulia/certificate.cnf -days 30 \
    -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
    -CA /complement/ca/ca.crt -CAkey /complement/ca/ca.key \
    -keyout /certificate/server.key -out /certificate/server.crt

TERTULIA_SERVER_NAME="$SERVER_NAME" exec tertulia serve --config /etc/tertulia/tertulia.toml
