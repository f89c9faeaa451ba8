"""The quickstart: the library's commands one after the other, and a page that shows the outcome."""
