module claiflow

go 1.24
