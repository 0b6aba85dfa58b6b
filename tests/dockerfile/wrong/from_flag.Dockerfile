FROM --network=none scratch
