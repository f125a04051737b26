// How a played host fails: with the contract's record, as a component gets it.

export function refusal(code, message, details) {
  return { payload: { code, message, details: details && JSON.stringify(details) } };
}
