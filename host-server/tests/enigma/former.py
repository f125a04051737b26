"""Makes former.json: values as the first version of the server encrypted them, by an implementation that is not ours.

    python3 former.py > former.json        (needs the package `cryptography`)
"""

import base64
import json

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY = bytes(range(1, 41))
NONCE = bytes(range(100, 112))
TEXTS = ["", '{"name":"world"}', '{"password":"pä55 wörd 😀"}', "sixteen bytes ok", "x" * 100]


def fit(data, size):
    return (data + bytes(size))[:size]


def padded(data):
    count = 16 - len(data) % 16
    return data + bytes([count]) * count


def written(data, strconv):
    return {"base64": lambda: base64.b64encode(data).decode(), "hex": data.hex}[strconv]()


def vector(size, key, salt, padding, strconv, text):
    raw = text.encode()
    nonce = fit(base64.b64decode(salt), 12) if salt else NONCE
    sealed = AESGCM(fit(key, size // 8)).encrypt(nonce, padded(raw) if padding == "PKCS" else raw, None)
    return {
        "blockMethod": "AES",
        "blockSize": size,
        "blockKey": base64.b64encode(key).decode(),
        "cipherMode": "GCM",
        "cipherSalt": salt,
        "padding": padding,
        "strconv": strconv,
        "stored": written(sealed if salt else nonce + sealed, strconv),
        "text": text,
    }


vectors = [
    vector(size, KEY[:length], salt, padding, strconv, text)
    for size, length in [(128, 16), (128, 40), (192, 24), (192, 20), (256, 32), (256, 17)]
    for salt in [None, base64.b64encode(b"a fixed salt").decode(), base64.b64encode(b"short").decode()]
    for padding in ["none", "PKCS"]
    for strconv in ["base64", "hex"]
    for text in TEXTS[: 5 if (size, length) == (256, 32) else 2]
]
print(json.dumps(vectors, ensure_ascii=False, indent=1))
