FROM scratch
ADD --checksum=a --checksum=b c /
