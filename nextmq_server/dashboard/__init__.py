"""The dashboard: pages for people, served by the queue server. What it shows is what the API's routes give."""
