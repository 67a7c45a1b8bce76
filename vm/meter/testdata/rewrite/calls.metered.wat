(module
  (type (;0;) (func (param i32)))
  (type (;1;) (func (result i64)))
  (type (;2;) (func (param i32) (result i32)))
  (type (;3;) (func))
  (type (;4;) (func (param i64 i64)))
  (type (;5;) (func (param i64)))
  (type (;6;) (func (param i32) (result i32)))
  (type (;7;) (func))
  (import "vm_hooks" "read_args" (func (;0;) (type 0)))
  (import "vm_hooks" "block_number" (func (;1;) (type 1)))
  (import "tercet" "refill" (func (;2;) (type 5)))
  (import "tercet" "grow" (func (;3;) (type 6)))
  (func (;4;) (type 7)
    (local i32)
    global.get 3
    i32.const 0
    i32.lt_s
    if  ;; label = @1
      unreachable
    end
    global.get 4
    i32.const 2147483647
    i32.eq
    if  ;; label = @1
      global.get 3
      i32.const 4096
      i32.sub
      global.set 4
    else
      global.get 4
      global.get 3
      i32.sub
      i32.const 4096
      i32.div_u
      i32.const 1
      i32.add
      local.set 0
      global.get 4
      local.get 0
      i32.const 4096
      i32.mul
      i32.sub
      global.set 4
      global.get 2
      local.get 0
      i64.extend_i32_u
      i64.const 50000000
      i64.mul
      i64.sub
      global.set 2
      global.get 2
      i64.const 0
      i64.lt_s
      if  ;; label = @2
        global.get 2
        call 2
      end
    end
    global.get 4
    i32.const 0
    i32.lt_s
    if  ;; label = @1
      i32.const 0
      global.set 4
    end)
  (func (;5;) (type 2) (param i32) (result i32)
    (local i64)
    global.get 3
    i32.const 128
    i32.sub
    global.set 3
    global.get 3
    global.get 4
    i32.lt_s
    if  ;; label = @1
      call 4
    end
    global.get 2
    local.set 1
    block (result i32)  ;; label = @1
      local.get 1
      i64.const 34100
      i64.sub
      local.tee 1
      i64.const 0
      i64.lt_s
      if  ;; label = @2
        local.get 1
        global.set 2
        local.get 1
        call 2
        global.get 2
        local.set 1
      end
      i32.const 16
      local.get 1
      global.set 2
      call 0
      global.get 2
      local.set 1
      global.get 0
      local.get 1
      global.set 2
      call 1
      global.get 2
      local.set 1
      i32.wrap_i64
      i32.add
      global.set 0
      local.get 0
      i32.const 1
      local.get 1
      global.set 2
      call_indirect (type 2)
      global.get 2
      local.set 1
    end
    local.get 1
    global.set 2
    global.get 3
    i32.const 128
    i32.add
    global.set 3)
  (func (;6;) (type 2) (param i32) (result i32)
    (local i64)
    global.get 2
    local.set 1
    block (result i32)  ;; label = @1
      local.get 1
      i64.const 2500
      i64.sub
      local.tee 1
      i64.const 0
      i64.lt_s
      if  ;; label = @2
        local.get 1
        global.set 2
        local.get 1
        call 2
        global.get 2
        local.set 1
      end
      i32.const 0
    end
    local.get 1
    global.set 2)
  (func (;7;) (type 3)
    (local i64)
    global.get 2
    local.set 0
    block  ;; label = @1
      local.get 0
      i64.const 3300
      i64.sub
      local.tee 0
      i64.const 0
      i64.lt_s
      if  ;; label = @2
        local.get 0
        global.set 2
        local.get 0
        call 2
        global.get 2
        local.set 0
      end
      i32.const 7
      global.set 0
    end
    local.get 0
    global.set 2)
  (func (;8;) (type 2) (param i32) (result i32)
    (local i64)
    global.get 2
    local.set 1
    block (result i32)  ;; label = @1
      local.get 1
      i64.const 3300
      i64.sub
      local.tee 1
      i64.const 0
      i64.lt_s
      if  ;; label = @2
        local.get 1
        global.set 2
        local.get 1
        call 2
        global.get 2
        local.set 1
      end
      local.get 0
      local.get 0
      i32.add
    end
    local.get 1
    global.set 2)
  (func (;9;) (type 4) (param i64 i64)
    (local i64)
    global.get 2
    local.set 2
    block  ;; label = @1
      local.get 2
      i64.const 2400
      i64.sub
      local.tee 2
      i64.const 0
      i64.lt_s
      if  ;; label = @2
        local.get 2
        global.set 2
        local.get 2
        call 2
        global.get 2
        local.set 2
      end
    end
    local.get 2
    global.set 2)
  (func (;10;) (type 2) (param i32) (result i32)
    call 7
    local.get 0
    call 5)
  (func (;11;) (type 2) (param i32) (result i32)
    call 7
    local.get 0
    call 6)
  (table (;0;) 3 3 funcref)
  (memory (;0;) 1 2)
  (global (;0;) (mut i32) (i32.const 0))
  (global (;1;) i32 (i32.const 1024))
  (global (;2;) (mut i64) (i64.const 0))
  (global (;3;) (mut i32) (i32.const 131072))
  (global (;4;) (mut i32) (i32.const 2147483647))
  (export "memory" (memory 0))
  (export "user_entrypoint" (func 10))
  (export "user_constructor" (func 11))
  (export "tercet_gas" (global 2))
  (export "tercet_stack" (global 3))
  (elem (;0;) (i32.const 1) func 8 9)
  (data (;0;) (i32.const 8) "data"))
