"""`nextmq doctor`: the ladder from the variables to the queues. Each rung says what it found, and the fix."""
