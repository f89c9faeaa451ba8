"""Dense correspondences between two pictures, and the page that shows them."""
