"""What all routes share: bodies, query parameters, pages, errors."""
