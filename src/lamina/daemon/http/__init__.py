"""What every route needs and no route owns: matching, reading requests, writing streams, errors."""
