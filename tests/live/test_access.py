import re

import pytest

from posenet.live.access import Access, choose_access

LOCAL = Access("127.0.0.1", "127.0.0.1", 8077)
NETWORK = Access("0.0.0.0", "0.0.0.0", 8077, "secret")


@pytest.mark.parametrize(
    ("access", "header", "allowed"),
    [
        (LOCAL, "127.0.0.1:8077", True),
        (LOCAL, "localhost:8077", True),
        (LOCAL, "LOCALHOST:8077", True),
        (LOCAL, "127.0.0.1:8078", False),
        (LOCAL, "127.0.0.1", False),
        (LOCAL, "evil.example:8077", False),
        (LOCAL, "127.0.0.1.evil.example:8077", False),
        (LOCAL, "192.168.1.5:8077", False),
        (LOCAL, "", False),
        (Access("127.0.0.1", "127.0.0.1", 80), "127.0.0.1", True),
        (Access("::1", "::1", 8077), "[::1]:8077", True),
        (Access("::1", "::1", 80), "[::1]", True),
        (Access("robot", "192.168.1.5", 8077, "x"), "robot:8077", True),
        (Access("robot", "192.168.1.5", 8077, "x"), "192.168.1.5:8077", True),
        (Access("robot", "192.168.1.5", 8077, "x"), "localhost:8077", False),
        # All addresses of the computer, by number: no other site's name is a number.
        (NETWORK, "192.168.1.5:8077", True),
        (NETWORK, "[fe80::1]:8077", True),
        (NETWORK, "localhost:8077", True),
        (NETWORK, "evil.example:8077", False),
    ],
)
def test_host_headers(access, header, allowed):
    assert access.allows_host(header) is allowed


def test_only_this_computer_needs_no_token():
    assert choose_access("127.0.0.1", "127.0.0.1", 1).token is None
    assert choose_access("localhost", "::1", 1).token is None
    first, second = (choose_access("0.0.0.0", "0.0.0.0", 1).token for _ in range(2))
    assert len(first) == 32  # 24 bytes in base64
    assert first != second
    assert choose_access("192.168.1.5", "192.168.1.5", 1).token


def test_the_address_to_open():
    assert LOCAL.url == "http://127.0.0.1:8077/"
    assert Access("::1", "::1", 8077).url == "http://[::1]:8077/"
    assert Access("robot", "192.168.1.5", 80, "abc").url == "http://robot:80/?token=abc"
    assert re.fullmatch(r"http://[\w.-]+:8077/\?token=secret", NETWORK.url)
    assert "0.0.0.0" not in NETWORK.url


def test_the_token_is_in_no_message():
    assert "secret" not in repr(NETWORK)
