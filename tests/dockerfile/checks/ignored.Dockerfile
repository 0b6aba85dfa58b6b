FROM scratch AS files
FROM scratch
COPY hidden.md /
ADD hidden.md other.txt /
COPY docs/hidden.md /
COPY seen.txt /
COPY . /
COPY --from=files hidden.md /x
ADD https://example.com/hidden.md /
