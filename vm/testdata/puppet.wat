;; A contract that does what its calldata says: every host function and every trap at a test's fingertips.
;;
;; The calldata is copied to 65536. It begins with the offset of the first operation (u32), and between may lie
;; data. An operation is its number (u8), its arguments (8 bytes each, little-endian) and, if it has a
;; result, where to store that as 8 bytes. Numbers 0 to 41 are the host functions in the order of their names.
(module
  (type $unit (func))
  (type $odd (func (param i64) (result i64)))
  (import "vm_hooks" "account_balance" (func $account_balance (param i32 i32)))
  (import "vm_hooks" "account_code" (func $account_code (param i32 i32 i32 i32) (result i32)))
  (import "vm_hooks" "account_code_size" (func $account_code_size (param i32) (result i32)))
  (import "vm_hooks" "account_codehash" (func $account_codehash (param i32 i32)))
  (import "vm_hooks" "block_basefee" (func $block_basefee (param i32)))
  (import "vm_hooks" "block_coinbase" (func $block_coinbase (param i32)))
  (import "vm_hooks" "block_gas_limit" (func $block_gas_limit (result i64)))
  (import "vm_hooks" "block_number" (func $block_number (result i64)))
  (import "vm_hooks" "block_timestamp" (func $block_timestamp (result i64)))
  (import "vm_hooks" "call_contract" (func $call_contract (param i32 i32 i32 i32 i64 i32) (result i32)))
  (import "vm_hooks" "chainid" (func $chainid (result i64)))
  (import "vm_hooks" "contract_address" (func $contract_address (param i32)))
  (import "vm_hooks" "create1" (func $create1 (param i32 i32 i32 i32 i32)))
  (import "vm_hooks" "create2" (func $create2 (param i32 i32 i32 i32 i32 i32)))
  (import "vm_hooks" "delegate_call_contract" (func $delegate_call_contract (param i32 i32 i32 i64 i32) (result i32)))
  (import "vm_hooks" "emit_log" (func $emit_log (param i32 i32 i32)))
  (import "vm_hooks" "evm_gas_left" (func $evm_gas_left (result i64)))
  (import "vm_hooks" "evm_ink_left" (func $evm_ink_left (result i64)))
  (import "vm_hooks" "exit_early" (func $exit_early (param i32)))
  (import "vm_hooks" "math_add_mod" (func $math_add_mod (param i32 i32 i32)))
  (import "vm_hooks" "math_div" (func $math_div (param i32 i32)))
  (import "vm_hooks" "math_mod" (func $math_mod (param i32 i32)))
  (import "vm_hooks" "math_mul_mod" (func $math_mul_mod (param i32 i32 i32)))
  (import "vm_hooks" "math_pow" (func $math_pow (param i32 i32)))
  (import "vm_hooks" "msg_reentrant" (func $msg_reentrant (result i32)))
  (import "vm_hooks" "msg_sender" (func $msg_sender (param i32)))
  (import "vm_hooks" "msg_value" (func $msg_value (param i32)))
  (import "vm_hooks" "native_keccak256" (func $native_keccak256 (param i32 i32 i32)))
  (import "vm_hooks" "pay_for_memory_grow" (func $pay_for_memory_grow (param i32)))
  (import "vm_hooks" "read_args" (func $read_args (param i32)))
  (import "vm_hooks" "read_return_data" (func $read_return_data (param i32 i32 i32) (result i32)))
  (import "vm_hooks" "return_data_size" (func $return_data_size (result i32)))
  (import "vm_hooks" "static_call_contract" (func $static_call_contract (param i32 i32 i32 i64 i32) (result i32)))
  (import "vm_hooks" "storage_cache_bytes32" (func $storage_cache_bytes32 (param i32 i32)))
  (import "vm_hooks" "storage_flush_cache" (func $storage_flush_cache (param i32)))
  (import "vm_hooks" "storage_load_bytes32" (func $storage_load_bytes32 (param i32 i32)))
  (import "vm_hooks" "transient_load_bytes32" (func $transient_load_bytes32 (param i32 i32)))
  (import "vm_hooks" "transient_store_bytes32" (func $transient_store_bytes32 (param i32 i32)))
  (import "vm_hooks" "tx_gas_price" (func $tx_gas_price (param i32)))
  (import "vm_hooks" "tx_ink_price" (func $tx_ink_price (result i32)))
  (import "vm_hooks" "tx_origin" (func $tx_origin (param i32)))
  (import "vm_hooks" "write_result" (func $write_result (param i32 i32)))
  (memory (export "memory") 4)
  (table 2 funcref)
  (elem (i32.const 0) $odd)
  (func $odd (type $odd) (local.get 0))
  (func $deeper (param $n i32) (result i32)
    (i32.add (call $deeper (i32.add (local.get $n) (i32.const 1))) (i32.const 1)))
  (func $run (param $len i32) (result i32)
    (local $p i32) (local $end i32) (local $r i64)
    (call $read_args (i32.const 65536))
    (local.set $end (i32.add (i32.const 65536) (local.get $len)))
    (local.set $p (i32.add (i32.const 65536) (i32.load (i32.const 65536))))
    (loop $next
      (if (i32.ge_u (local.get $p) (local.get $end)) (then (return (i32.const 0))))
      (block $done
      (block $op52
      (block $op51
      (block $op50
      (block $op49
      (block $op48
      (block $op47
      (block $op46
      (block $op45
      (block $op44
      (block $op43
      (block $op42
      (block $op41
      (block $op40
      (block $op39
      (block $op38
      (block $op37
      (block $op36
      (block $op35
      (block $op34
      (block $op33
      (block $op32
      (block $op31
      (block $op30
      (block $op29
      (block $op28
      (block $op27
      (block $op26
      (block $op25
      (block $op24
      (block $op23
      (block $op22
      (block $op21
      (block $op20
      (block $op19
      (block $op18
      (block $op17
      (block $op16
      (block $op15
      (block $op14
      (block $op13
      (block $op12
      (block $op11
      (block $op10
      (block $op9
      (block $op8
      (block $op7
      (block $op6
      (block $op5
      (block $op4
      (block $op3
      (block $op2
      (block $op1
      (block $op0
        (br_table $op0 $op1 $op2 $op3 $op4 $op5 $op6 $op7 $op8 $op9 $op10 $op11 $op12 $op13 $op14 $op15 $op16 $op17 $op18 $op19 $op20 $op21 $op22 $op23 $op24 $op25 $op26 $op27 $op28 $op29 $op30 $op31 $op32 $op33 $op34 $op35 $op36 $op37 $op38 $op39 $op40 $op41 $op42 $op43 $op44 $op45 $op46 $op47 $op48 $op49 $op50 $op51 $op52 (i32.load8_u (local.get $p))))
      (call $account_balance (i32.load offset=1 (local.get $p)) (i32.load offset=9 (local.get $p)))
      (local.set $p (i32.add (local.get $p) (i32.const 17))) (br $next)) ;; 0 account_balance
      (local.set $r (i64.extend_i32_u (call $account_code (i32.load offset=1 (local.get $p)) (i32.load offset=9 (local.get $p)) (i32.load offset=17 (local.get $p)) (i32.load offset=25 (local.get $p)))))
      (i64.store (i32.load offset=33 (local.get $p)) (local.get $r))
      (local.set $p (i32.add (local.get $p) (i32.const 41))) (br $next)) ;; 1 account_code
      (local.set $r (i64.extend_i32_u (call $account_code_size (i32.load offset=1 (local.get $p)))))
      (i64.store (i32.load offset=9 (local.get $p)) (local.get $r))
      (local.set $p (i32.add (local.get $p) (i32.const 17))) (br $next)) ;; 2 account_code_size
      (call $account_codehash (i32.load offset=1 (local.get $p)) (i32.load offset=9 (local.get $p)))
      (local.set $p (i32.add (local.get $p) (i32.const 17))) (br $next)) ;; 3 account_codehash
      (call $block_basefee (i32.load offset=1 (local.get $p)))
      (local.set $p (i32.add (local.get $p) (i32.const 9))) (br $next)) ;; 4 block_basefee
      (call $block_coinbase (i32.load offset=1 (local.get $p)))
      (local.set $p (i32.add (local.get $p) (i32.const 9))) (br $next)) ;; 5 block_coinbase
      (local.set $r (call $block_gas_limit))
      (i64.store (i32.load offset=1 (local.get $p)) (local.get $r))
      (local.set $p (i32.add (local.get $p) (i32.const 9))) (br $next)) ;; 6 block_gas_limit
      (local.set $r (call $block_number))
      (i64.store (i32.load offset=1 (local.get $p)) (local.get $r))
      (local.set $p (i32.add (local.get $p) (i32.const 9))) (br $next)) ;; 7 block_number
      (local.set $r (call $block_timestamp))
      (i64.store (i32.load offset=1 (local.get $p)) (local.get $r))
      (local.set $p (i32.add (local.get $p) (i32.const 9))) (br $next)) ;; 8 block_timestamp
      (local.set $r (i64.extend_i32_u (call $call_contract (i32.load offset=1 (local.get $p)) (i32.load offset=9 (local.get $p)) (i32.load offset=17 (local.get $p)) (i32.load offset=25 (local.get $p)) (i64.load offset=33 (local.get $p)) (i32.load offset=41 (local.get $p)))))
      (i64.store (i32.load offset=49 (local.get $p)) (local.get $r))
      (local.set $p (i32.add (local.get $p) (i32.const 57))) (br $next)) ;; 9 call_contract
      (local.set $r (call $chainid))
      (i64.store (i32.load offset=1 (local.get $p)) (local.get $r))
      (local.set $p (i32.add (local.get $p) (i32.const 9))) (br $next)) ;; 10 chainid
      (call $contract_address (i32.load offset=1 (local.get $p)))
      (local.set $p (i32.add (local.get $p) (i32.const 9))) (br $next)) ;; 11 contract_address
      (call $create1 (i32.load offset=1 (local.get $p)) (i32.load offset=9 (local.get $p)) (i32.load offset=17 (local.get $p)) (i32.load offset=25 (local.get $p)) (i32.load offset=33 (local.get $p)))
      (local.set $p (i32.add (local.get $p) (i32.const 41))) (br $next)) ;; 12 create1
      (call $create2 (i32.load offset=1 (local.get $p)) (i32.load offset=9 (local.get $p)) (i32.load offset=17 (local.get $p)) (i32.load offset=25 (local.get $p)) (i32.load offset=33 (local.get $p)) (i32.load offset=41 (local.get $p)))
      (local.set $p (i32.add (local.get $p) (i32.const 49))) (br $next)) ;; 13 create2
      (local.set $r (i64.extend_i32_u (call $delegate_call_contract (i32.load offset=1 (local.get $p)) (i32.load offset=9 (local.get $p)) (i32.load offset=17 (local.get $p)) (i64.load offset=25 (local.get $p)) (i32.load offset=33 (local.get $p)))))
      (i64.store (i32.load offset=41 (local.get $p)) (local.get $r))
      (local.set $p (i32.add (local.get $p) (i32.const 49))) (br $next)) ;; 14 delegate_call_contract
      (call $emit_log (i32.load offset=1 (local.get $p)) (i32.load offset=9 (local.get $p)) (i32.load offset=17 (local.get $p)))
      (local.set $p (i32.add (local.get $p) (i32.const 25))) (br $next)) ;; 15 emit_log
      (local.set $r (call $evm_gas_left))
      (i64.store (i32.load offset=1 (local.get $p)) (local.get $r))
      (local.set $p (i32.add (local.get $p) (i32.const 9))) (br $next)) ;; 16 evm_gas_left
      (local.set $r (call $evm_ink_left))
      (i64.store (i32.load offset=1 (local.get $p)) (local.get $r))
      (local.set $p (i32.add (local.get $p) (i32.const 9))) (br $next)) ;; 17 evm_ink_left
      (call $exit_early (i32.load offset=1 (local.get $p)))
      (local.set $p (i32.add (local.get $p) (i32.const 9))) (br $next)) ;; 18 exit_early
      (call $math_add_mod (i32.load offset=1 (local.get $p)) (i32.load offset=9 (local.get $p)) (i32.load offset=17 (local.get $p)))
      (local.set $p (i32.add (local.get $p) (i32.const 25))) (br $next)) ;; 19 math_add_mod
      (call $math_div (i32.load offset=1 (local.get $p)) (i32.load offset=9 (local.get $p)))
      (local.set $p (i32.add (local.get $p) (i32.const 17))) (br $next)) ;; 20 math_div
      (call $math_mod (i32.load offset=1 (local.get $p)) (i32.load offset=9 (local.get $p)))
      (local.set $p (i32.add (local.get $p) (i32.const 17))) (br $next)) ;; 21 math_mod
      (call $math_mul_mod (i32.load offset=1 (local.get $p)) (i32.load offset=9 (local.get $p)) (i32.load offset=17 (local.get $p)))
      (local.set $p (i32.add (local.get $p) (i32.const 25))) (br $next)) ;; 22 math_mul_mod
      (call $math_pow (i32.load offset=1 (local.get $p)) (i32.load offset=9 (local.get $p)))
      (local.set $p (i32.add (local.get $p) (i32.const 17))) (br $next)) ;; 23 math_pow
      (local.set $r (i64.extend_i32_u (call $msg_reentrant)))
      (i64.store (i32.load offset=1 (local.get $p)) (local.get $r))
      (local.set $p (i32.add (local.get $p) (i32.const 9))) (br $next)) ;; 24 msg_reentrant
      (call $msg_sender (i32.load offset=1 (local.get $p)))
      (local.set $p (i32.add (local.get $p) (i32.const 9))) (br $next)) ;; 25 msg_sender
      (call $msg_value (i32.load offset=1 (local.get $p)))
      (local.set $p (i32.add (local.get $p) (i32.const 9))) (br $next)) ;; 26 msg_value
      (call $native_keccak256 (i32.load offset=1 (local.get $p)) (i32.load offset=9 (local.get $p)) (i32.load offset=17 (local.get $p)))
      (local.set $p (i32.add (local.get $p) (i32.const 25))) (br $next)) ;; 27 native_keccak256
      (call $pay_for_memory_grow (i32.load offset=1 (local.get $p)))
      (local.set $p (i32.add (local.get $p) (i32.const 9))) (br $next)) ;; 28 pay_for_memory_grow
      (call $read_args (i32.load offset=1 (local.get $p)))
      (local.set $p (i32.add (local.get $p) (i32.const 9))) (br $next)) ;; 29 read_args
      (local.set $r (i64.extend_i32_u (call $read_return_data (i32.load offset=1 (local.get $p)) (i32.load offset=9 (local.get $p)) (i32.load offset=17 (local.get $p)))))
      (i64.store (i32.load offset=25 (local.get $p)) (local.get $r))
      (local.set $p (i32.add (local.get $p) (i32.const 33))) (br $next)) ;; 30 read_return_data
      (local.set $r (i64.extend_i32_u (call $return_data_size)))
      (i64.store (i32.load offset=1 (local.get $p)) (local.get $r))
      (local.set $p (i32.add (local.get $p) (i32.const 9))) (br $next)) ;; 31 return_data_size
      (local.set $r (i64.extend_i32_u (call $static_call_contract (i32.load offset=1 (local.get $p)) (i32.load offset=9 (local.get $p)) (i32.load offset=17 (local.get $p)) (i64.load offset=25 (local.get $p)) (i32.load offset=33 (local.get $p)))))
      (i64.store (i32.load offset=41 (local.get $p)) (local.get $r))
      (local.set $p (i32.add (local.get $p) (i32.const 49))) (br $next)) ;; 32 static_call_contract
      (call $storage_cache_bytes32 (i32.load offset=1 (local.get $p)) (i32.load offset=9 (local.get $p)))
      (local.set $p (i32.add (local.get $p) (i32.const 17))) (br $next)) ;; 33 storage_cache_bytes32
      (call $storage_flush_cache (i32.load offset=1 (local.get $p)))
      (local.set $p (i32.add (local.get $p) (i32.const 9))) (br $next)) ;; 34 storage_flush_cache
      (call $storage_load_bytes32 (i32.load offset=1 (local.get $p)) (i32.load offset=9 (local.get $p)))
      (local.set $p (i32.add (local.get $p) (i32.const 17))) (br $next)) ;; 35 storage_load_bytes32
      (call $transient_load_bytes32 (i32.load offset=1 (local.get $p)) (i32.load offset=9 (local.get $p)))
      (local.set $p (i32.add (local.get $p) (i32.const 17))) (br $next)) ;; 36 transient_load_bytes32
      (call $transient_store_bytes32 (i32.load offset=1 (local.get $p)) (i32.load offset=9 (local.get $p)))
      (local.set $p (i32.add (local.get $p) (i32.const 17))) (br $next)) ;; 37 transient_store_bytes32
      (call $tx_gas_price (i32.load offset=1 (local.get $p)))
      (local.set $p (i32.add (local.get $p) (i32.const 9))) (br $next)) ;; 38 tx_gas_price
      (local.set $r (i64.extend_i32_u (call $tx_ink_price)))
      (i64.store (i32.load offset=1 (local.get $p)) (local.get $r))
      (local.set $p (i32.add (local.get $p) (i32.const 9))) (br $next)) ;; 39 tx_ink_price
      (call $tx_origin (i32.load offset=1 (local.get $p)))
      (local.set $p (i32.add (local.get $p) (i32.const 9))) (br $next)) ;; 40 tx_origin
      (call $write_result (i32.load offset=1 (local.get $p)) (i32.load offset=9 (local.get $p)))
      (local.set $p (i32.add (local.get $p) (i32.const 17))) (br $next)) ;; 41 write_result
      (return (i32.load offset=1 (local.get $p)))
      (local.set $p (i32.add (local.get $p) (i32.const 9))) (br $next)) ;; 42 stop
      (local.set $r (i64.extend_i32_u (memory.grow (i32.load offset=1 (local.get $p)))))
      (i64.store (i32.load offset=9 (local.get $p)) (local.get $r))
      (local.set $p (i32.add (local.get $p) (i32.const 17))) (br $next)) ;; 43 memory_grow
      (unreachable)
      (local.set $p (i32.add (local.get $p) (i32.const 1))) (br $next)) ;; 44 unreachable
      (drop (i32.div_u (i32.const 1) (i32.eqz (local.get $p))))
      (local.set $p (i32.add (local.get $p) (i32.const 1))) (br $next)) ;; 45 divide_by_zero
      (local.set $r (i64.extend_i32_u (i32.load (i32.load offset=1 (local.get $p)))))
      (i64.store (i32.load offset=9 (local.get $p)) (local.get $r))
      (local.set $p (i32.add (local.get $p) (i32.const 17))) (br $next)) ;; 46 load
      (call_indirect (type $unit) (i32.load offset=1 (local.get $p)))
      (local.set $p (i32.add (local.get $p) (i32.const 9))) (br $next)) ;; 47 call_indirect
      (loop $l (br $l))
      (local.set $p (i32.add (local.get $p) (i32.const 1))) (br $next)) ;; 48 spin
      (drop (call $deeper (i32.const 0)))
      (local.set $p (i32.add (local.get $p) (i32.const 1))) (br $next)) ;; 49 recurse
      (memory.copy (i32.load offset=1 (local.get $p)) (i32.load offset=9 (local.get $p)) (i32.load offset=17 (local.get $p)))
      (local.set $p (i32.add (local.get $p) (i32.const 25))) (br $next)) ;; 50 copy
      (local.set $r (i64.extend_i32_u (memory.size)))
      (i64.store (i32.load offset=1 (local.get $p)) (local.get $r))
      (local.set $p (i32.add (local.get $p) (i32.const 9))) (br $next)) ;; 51 size
      (unreachable)) ;; no such operation
      )
    (unreachable))
  (func (export "user_entrypoint") (param $len i32) (result i32) (call $run (local.get $len)))
  (func (export "user_constructor") (param $len i32) (result i32) (call $run (local.get $len))))
