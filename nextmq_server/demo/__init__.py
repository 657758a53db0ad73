"""`nextmq demo`: a server with an app inside its process, and queues in every state that there is."""
