"""Plain functions on arrays that several systems use."""
