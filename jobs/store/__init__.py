"""The only writer of job rows: one function per transition, each a compare-and-set that tells whether it won."""
