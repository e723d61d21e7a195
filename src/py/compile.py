# SPDX-License-Identifier: MIT
"""Compiles sources for venvfs, in a clean process of the interpreter they are for.

Standard input is one end of a socket that carries frames both ways; a frame is a
number n (u32, little-endian, like all numbers here) and n bytes behind it:

    hello    cache tag and magic number, "cpython-311-a70d0d0a"
    request  for each source: u32, path, u32, bytes
    answer   for each source of the request, in order: u32, pyc; an empty one: it does not compile

A request is read to its end before its answer is begun, so neither side can wait for the other.
"""

import gc
import importlib.util
import marshal
import sys

# PEP 552: a hash-based pyc whose source is not looked at again
UNCHECKED = importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little")


def pyc(source, path):
    try:
        code = compile(source, path, "exec", dont_inherit=True, optimize=0)
    except Exception:  # also ValueError, RecursionError and MemoryError: the source is what it is
        return b""
    return UNCHECKED + importlib.util.source_hash(source) + marshal.dumps(code)


def number(n):
    return n.to_bytes(4, "little")


def sources(request):
    at = 0
    while at < len(request):
        fields = []
        for _ in range(2):
            end = at + 4 + int.from_bytes(request[at : at + 4], "little")
            fields.append(request[at + 4 : end])
            at = end
        yield fields[1], fields[0].decode("utf-8", "surrogateescape")


def frames(stream):
    while True:
        head = stream.read(4)
        if len(head) < 4:
            return
        yield stream.read(int.from_bytes(head, "little"))


def send(stream, payload):
    stream.write(number(len(payload)))
    stream.write(payload)
    stream.flush()


def main():
    gc.disable()  # code objects make no cycles
    with open(0, "rb", closefd=False) as requests, open(0, "wb", closefd=False) as answers:
        hello = "%s-%s" % (sys.implementation.cache_tag, importlib.util.MAGIC_NUMBER.hex())
        send(answers, hello.encode())
        for request in frames(requests):
            parts = []
            for source, path in sources(request):
                made = pyc(source, path)
                parts += number(len(made)), made
            send(answers, b"".join(parts))


main()
