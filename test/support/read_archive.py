"""Prints the rows of Avro object files as NDJSON, read by fastavro: bytes as base64, times as milliseconds."""

import base64
import datetime
import json
import sys

import fastavro


def plain(value):
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, datetime.datetime):
        epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
        return (value - epoch) // datetime.timedelta(milliseconds=1)
    raise TypeError(type(value))


for path in sys.argv[1:]:
    with open(path, "rb") as file:
        for row in fastavro.reader(file):
            print(json.dumps(row, default=plain))
