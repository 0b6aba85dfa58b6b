FROM scratch AS 1up
