"""What each kind of account can do and how: one module a kind, all of one shape (`port`)."""
