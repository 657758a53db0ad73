"""What every caller passes before the app: bounds on all that a connection can make the server hold."""
