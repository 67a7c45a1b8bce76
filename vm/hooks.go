package vm

import "github.com/tercet-chain/tercet/vm/meter"

// hostFunction is a function of the ABI. The stack holds the arguments, and takes the result in its first place.
type hostFunction func(r *running, stack []uint64)

// hostFunctions is the whole of vm_hooks; their types are meter's.
func hostFunctions() map[string]hostFunction {
	return map[string]hostFunction{
		"read_args":    (*running).readArgs,
		"write_result": (*running).writeResult,
		"exit_early":   (*running).exitEarly,

		"storage_load_bytes32":    (*running).storageLoad,
		"storage_cache_bytes32":   (*running).storageCache,
		"storage_flush_cache":     (*running).storageFlush,
		"transient_load_bytes32":  (*running).transientLoad,
		"transient_store_bytes32": (*running).transientStore,

		"call_contract":          (*running).callContract,
		"delegate_call_contract": (*running).delegateCall,
		"static_call_contract":   (*running).staticCall,
		"create1":                (*running).create1,
		"create2":                (*running).create2,
		"read_return_data":       (*running).readReturnData,
		"return_data_size":       (*running).returnDataSize,

		"emit_log": (*running).emitLog,

		"account_balance":   (*running).accountBalance,
		"account_codehash":  (*running).accountCodeHash,
		"account_code":      (*running).accountCode,
		"account_code_size": (*running).accountCodeSize,

		"block_basefee":   func(r *running, s []uint64) { r.putWord(s[0], &r.Block.BaseFee) },
		"block_coinbase":  func(r *running, s []uint64) { copy(r.view(s[0], 20), r.Block.Coinbase[:]) },
		"block_gas_limit": func(r *running, s []uint64) { s[0] = r.Block.GasLimit },
		"block_number":    func(r *running, s []uint64) { s[0] = r.Block.Number },
		"block_timestamp": func(r *running, s []uint64) { s[0] = r.Block.Time },
		"chainid":         func(r *running, s []uint64) { s[0] = r.Block.ChainID },

		"contract_address": func(r *running, s []uint64) { copy(r.view(s[0], 20), r.Contract[:]) },
		"msg_sender":       func(r *running, s []uint64) { copy(r.view(s[0], 20), r.Caller[:]) },
		"tx_origin":        func(r *running, s []uint64) { copy(r.view(s[0], 20), r.Origin[:]) },
		"msg_value":        func(r *running, s []uint64) { r.putWord(s[0], &r.Value) },
		"tx_gas_price":     func(r *running, s []uint64) { r.putWord(s[0], &r.GasPrice) },
		"msg_reentrant":    (*running).msgReentrant,

		"evm_gas_left":        func(r *running, s []uint64) { s[0] = r.left() / meter.InkPerGas },
		"evm_ink_left":        func(r *running, s []uint64) { s[0] = r.left() },
		"tx_ink_price":        func(_ *running, s []uint64) { s[0] = meter.InkPerGas },
		"pay_for_memory_grow": (*running).payForMemoryGrow,

		"native_keccak256": (*running).keccak,
		"math_div":         (*running).mathDiv,
		"math_mod":         (*running).mathMod,
		"math_pow":         (*running).mathPow,
		"math_add_mod":     (*running).mathAddMod,
		"math_mul_mod":     (*running).mathMulMod,
	}
}
