"""Images, videos, official folder layouts, and writers of results."""
