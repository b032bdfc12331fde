# SPDX-License-Identifier: MIT
"""Texts that prove themselves: who knows a key and a version knows every character of the message.

A reader can therefore tell a changed text, or one under another's key, without asking anybody.
"""
import zlib

WORDS = ('log', 'ring', 'späť', 'αβγ', 'чат', '漢字', 'rev', '🙂', 'seq', 'naïve', '"quoted"', 'back\\slash', '<b>')
# lengths in words: most texts are short, a few fill a ring or a queue quickly
LENGTHS = (0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 30, 60, 200, 900)


def text_of(key, version):
    """The text of version VERSION (0: as sent, else the number of its edit) of the message KEY."""
    digest = zlib.crc32(f'{key} {version}'.encode())
    length = LENGTHS[digest % len(LENGTHS)]
    start = digest >> 8
    words = (WORDS[(start + number * 7) % len(WORDS)] for number in range(length))
    return ' '.join((key, f'v{version}', *words, 'end'))


def parse(text):
    """(key, version) of a text that text_of made, None for any other."""
    key, _, rest = text.partition(' ')
    version = rest.partition(' ')[0]
    if version[:1] != 'v' or not version[1:].isdigit():
        return None
    found = key, int(version[1:])
    return found if text_of(*found) == text else None
