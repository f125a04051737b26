module example-go

go 1.24

require claiflow v0.0.0

replace claiflow => ../sdk-go
