FROM scratch AS one
FROM scratch AS two
FROM scratch AS one
FROM scratch AS ONE
FROM scratch
