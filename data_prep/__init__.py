"""Official files of each data set in, sharded TFRecords with schema, index and report out."""
