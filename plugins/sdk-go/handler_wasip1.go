package claiflow

import (
	"unsafe"

	"claiflow/internal/guest"
	"claiflow/internal/host"
)

// The export `handler`. What is answered is never given back: an instance serves one call.

//go:wasmexport claiflow:plugin/handler@1.0.0#describe
func handlerDescribe() unsafe.Pointer {
	text, err := guest.Describe()
	if err != nil {
		// `build-plugin` described the same commands.
		panic(err)
	}
	return host.GivenText(text)
}

//go:wasmexport claiflow:plugin/handler@1.0.0#run
func handlerRun(command, commandLength, inputs, inputsLength, context, contextLength uint32) unsafe.Pointer {
	return host.GivenAnswer(guest.Run(
		host.Taken(command, commandLength), host.Taken(inputs, inputsLength), host.Taken(context, contextLength)))
}

//go:wasmexport claiflow:plugin/handler@1.0.0#verify
func handlerVerify(command, commandLength, inputs, inputsLength, context, contextLength uint32) unsafe.Pointer {
	return host.GivenAnswer(guest.Verify(
		host.Taken(command, commandLength), host.Taken(inputs, inputsLength), host.Taken(context, contextLength)))
}
