"""Hosts: by which names a server is called, and from which pages."""

import pytest

from flows.access import hosts


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.1:4200", "127.0.0.1"),
        ("LocalHost:1", "localhost"),
        ("[::1]:8", "::1"),
        ("models.example:443", "models.example"),
        ("127.0.0.1:x", ""),
        ("127.0.0.1@evil.example", ""),
        ("evil.example/127.0.0.1", ""),
        ("127.0.0.1#evil.example", ""),
        ("127.0.0.1?evil.example", ""),
        ("127.0.0.1\\evil.example", ""),
        ("[::1", ""),
        ("", ""),
    ],
)
def test_the_name_of_an_address(address, name):
    assert hosts.name(address) == name


def test_a_number_is_no_name_that_leads_here():
    assert [hosts.is_number(name) for name in ("10.0.0.7", "fe80::1", "localhost", "10.0.0.7.evil.example", "")] == [
        True,
        True,
        False,
        False,
        False,
    ]


def test_a_page_is_ours_if_it_came_by_the_same_address():
    assert hosts.is_same_origin("http://localhost:8000", "localhost:8000")
    assert hosts.is_same_origin("https://models.example", "models.example")
    for origin in ("null", "http://localhost:8001", "http://localhost", "http://evil.example", "file://", ""):
        assert not hosts.is_same_origin(origin, "localhost:8000")
