"""What the tests share: the server under test and the clients around it."""
