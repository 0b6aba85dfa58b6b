FROM scratch
CMD --fast true
