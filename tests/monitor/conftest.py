"""Somebody on duty, signed in."""

import pytest
from django.contrib.auth.models import User
from django.test import Client


@pytest.fixture
def operator(db: None) -> User:
    """A superuser."""
    return User.objects.create_superuser("operator", password="a-long-password-1")


@pytest.fixture
def console(operator: User) -> Client:
    """The operator's browser, without a screen."""
    client = Client()
    client.force_login(operator)
    return client
