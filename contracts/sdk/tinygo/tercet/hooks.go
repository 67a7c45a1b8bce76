//go:build wasm

package tercet

import "unsafe"

// The host functions: pointers to 20 bytes for addresses, to 32 big-endian bytes for numbers.

// HookReadArgs is vm_hooks.read_args.
//
//go:wasmimport vm_hooks read_args
func HookReadArgs(dest unsafe.Pointer)

// HookWriteResult is vm_hooks.write_result.
//
//go:wasmimport vm_hooks write_result
func HookWriteResult(data unsafe.Pointer, length uint32)

// HookExitEarly is vm_hooks.exit_early.
//
//go:wasmimport vm_hooks exit_early
func HookExitEarly(status uint32)

// HookStorageLoadBytes32 is vm_hooks.storage_load_bytes32.
//
//go:wasmimport vm_hooks storage_load_bytes32
func HookStorageLoadBytes32(key, dest unsafe.Pointer)

// HookStorageCacheBytes32 is vm_hooks.storage_cache_bytes32.
//
//go:wasmimport vm_hooks storage_cache_bytes32
func HookStorageCacheBytes32(key, value unsafe.Pointer)

// HookStorageFlushCache is vm_hooks.storage_flush_cache.
//
//go:wasmimport vm_hooks storage_flush_cache
func HookStorageFlushCache(drop uint32)

// HookTransientLoadBytes32 is vm_hooks.transient_load_bytes32.
//
//go:wasmimport vm_hooks transient_load_bytes32
func HookTransientLoadBytes32(key, dest unsafe.Pointer)

// HookTransientStoreBytes32 is vm_hooks.transient_store_bytes32.
//
//go:wasmimport vm_hooks transient_store_bytes32
func HookTransientStoreBytes32(key, value unsafe.Pointer)

// HookCallContract is vm_hooks.call_contract.
//
//go:wasmimport vm_hooks call_contract
func HookCallContract(to, data unsafe.Pointer, length uint32, value unsafe.Pointer, gas uint64, returned unsafe.Pointer) uint32

// HookDelegateCallContract is vm_hooks.delegate_call_contract.
//
//go:wasmimport vm_hooks delegate_call_contract
func HookDelegateCallContract(to, data unsafe.Pointer, length uint32, gas uint64, returned unsafe.Pointer) uint32

// HookStaticCallContract is vm_hooks.static_call_contract.
//
//go:wasmimport vm_hooks static_call_contract
func HookStaticCallContract(to, data unsafe.Pointer, length uint32, gas uint64, returned unsafe.Pointer) uint32

// HookCreate1 is vm_hooks.create1.
//
//go:wasmimport vm_hooks create1
func HookCreate1(code unsafe.Pointer, length uint32, value, address, returned unsafe.Pointer)

// HookCreate2 is vm_hooks.create2.
//
//go:wasmimport vm_hooks create2
func HookCreate2(code unsafe.Pointer, length uint32, value, salt, address, returned unsafe.Pointer)

// HookReadReturnData is vm_hooks.read_return_data.
//
//go:wasmimport vm_hooks read_return_data
func HookReadReturnData(dest unsafe.Pointer, offset, size uint32) uint32

// HookReturnDataSize is vm_hooks.return_data_size.
//
//go:wasmimport vm_hooks return_data_size
func HookReturnDataSize() uint32

// HookEmitLog is vm_hooks.emit_log.
//
//go:wasmimport vm_hooks emit_log
func HookEmitLog(data unsafe.Pointer, length, topics uint32)

// HookAccountBalance is vm_hooks.account_balance.
//
//go:wasmimport vm_hooks account_balance
func HookAccountBalance(address, dest unsafe.Pointer)

// HookAccountCodehash is vm_hooks.account_codehash.
//
//go:wasmimport vm_hooks account_codehash
func HookAccountCodehash(address, dest unsafe.Pointer)

// HookAccountCode is vm_hooks.account_code.
//
//go:wasmimport vm_hooks account_code
func HookAccountCode(address unsafe.Pointer, offset, size uint32, dest unsafe.Pointer) uint32

// HookAccountCodeSize is vm_hooks.account_code_size.
//
//go:wasmimport vm_hooks account_code_size
func HookAccountCodeSize(address unsafe.Pointer) uint32

// HookBlockBasefee is vm_hooks.block_basefee.
//
//go:wasmimport vm_hooks block_basefee
func HookBlockBasefee(dest unsafe.Pointer)

// HookBlockCoinbase is vm_hooks.block_coinbase.
//
//go:wasmimport vm_hooks block_coinbase
func HookBlockCoinbase(dest unsafe.Pointer)

// HookBlockGasLimit is vm_hooks.block_gas_limit.
//
//go:wasmimport vm_hooks block_gas_limit
func HookBlockGasLimit() uint64

// HookBlockNumber is vm_hooks.block_number.
//
//go:wasmimport vm_hooks block_number
func HookBlockNumber() uint64

// HookBlockTimestamp is vm_hooks.block_timestamp.
//
//go:wasmimport vm_hooks block_timestamp
func HookBlockTimestamp() uint64

// HookChainid is vm_hooks.chainid.
//
//go:wasmimport vm_hooks chainid
func HookChainid() uint64

// HookContractAddress is vm_hooks.contract_address.
//
//go:wasmimport vm_hooks contract_address
func HookContractAddress(dest unsafe.Pointer)

// HookMsgSender is vm_hooks.msg_sender.
//
//go:wasmimport vm_hooks msg_sender
func HookMsgSender(dest unsafe.Pointer)

// HookMsgValue is vm_hooks.msg_value.
//
//go:wasmimport vm_hooks msg_value
func HookMsgValue(dest unsafe.Pointer)

// HookMsgReentrant is vm_hooks.msg_reentrant.
//
//go:wasmimport vm_hooks msg_reentrant
func HookMsgReentrant() uint32

// HookTxOrigin is vm_hooks.tx_origin.
//
//go:wasmimport vm_hooks tx_origin
func HookTxOrigin(dest unsafe.Pointer)

// HookTxGasPrice is vm_hooks.tx_gas_price.
//
//go:wasmimport vm_hooks tx_gas_price
func HookTxGasPrice(dest unsafe.Pointer)

// HookTxInkPrice is vm_hooks.tx_ink_price.
//
//go:wasmimport vm_hooks tx_ink_price
func HookTxInkPrice() uint32

// HookEvmGasLeft is vm_hooks.evm_gas_left.
//
//go:wasmimport vm_hooks evm_gas_left
func HookEvmGasLeft() uint64

// HookEvmInkLeft is vm_hooks.evm_ink_left.
//
//go:wasmimport vm_hooks evm_ink_left
func HookEvmInkLeft() uint64

// HookNativeKeccak256 is vm_hooks.native_keccak256.
//
//go:wasmimport vm_hooks native_keccak256
func HookNativeKeccak256(data unsafe.Pointer, length uint32, dest unsafe.Pointer)

// HookPayForMemoryGrow is vm_hooks.pay_for_memory_grow.
//
//go:wasmimport vm_hooks pay_for_memory_grow
func HookPayForMemoryGrow(pages uint32)

// HookMathDiv is vm_hooks.math_div.
//
//go:wasmimport vm_hooks math_div
func HookMathDiv(a, b unsafe.Pointer)

// HookMathMod is vm_hooks.math_mod.
//
//go:wasmimport vm_hooks math_mod
func HookMathMod(a, b unsafe.Pointer)

// HookMathPow is vm_hooks.math_pow.
//
//go:wasmimport vm_hooks math_pow
func HookMathPow(a, b unsafe.Pointer)

// HookMathAddMod is vm_hooks.math_add_mod.
//
//go:wasmimport vm_hooks math_add_mod
func HookMathAddMod(a, b, m unsafe.Pointer)

// HookMathMulMod is vm_hooks.math_mul_mod.
//
//go:wasmimport vm_hooks math_mul_mod
func HookMathMulMod(a, b, m unsafe.Pointer)
