#!/bin/sh
# No service is started by the package that brings it.
exit 101
