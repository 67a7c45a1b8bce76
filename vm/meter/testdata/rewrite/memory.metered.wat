(module
  (type (;0;) (func (param i32) (result i32)))
  (type (;1;) (func (param i64)))
  (type (;2;) (func (param i32) (result i32)))
  (type (;3;) (func))
  (import "tercet" "refill" (func (;0;) (type 1)))
  (import "tercet" "grow" (func (;1;) (type 2)))
  (func (;2;) (type 3)
    (local i32)
    global.get 1
    i32.const 0
    i32.lt_s
    if  ;; label = @1
      unreachable
    end
    global.get 2
    i32.const 2147483647
    i32.eq
    if  ;; label = @1
      global.get 1
      i32.const 4096
      i32.sub
      global.set 2
    else
      global.get 2
      global.get 1
      i32.sub
      i32.const 4096
      i32.div_u
      i32.const 1
      i32.add
      local.set 0
      global.get 2
      local.get 0
      i32.const 4096
      i32.mul
      i32.sub
      global.set 2
      global.get 0
      local.get 0
      i64.extend_i32_u
      i64.const 50000000
      i64.mul
      i64.sub
      global.set 0
      global.get 0
      i64.const 0
      i64.lt_s
      if  ;; label = @2
        global.get 0
        call 0
      end
    end
    global.get 2
    i32.const 0
    i32.lt_s
    if  ;; label = @1
      i32.const 0
      global.set 2
    end)
  (func (;3;) (type 0) (param i32) (result i32)
    (local i64 i32 i32 i64 i64)
    global.get 1
    i32.const 128
    i32.sub
    global.set 1
    global.get 1
    global.get 2
    i32.lt_s
    if  ;; label = @1
      call 2
    end
    global.get 0
    local.set 1
    block (result i32)  ;; label = @1
      local.get 1
      i64.const 238500
      i64.sub
      local.tee 1
      i64.const 0
      i64.lt_s
      if  ;; label = @2
        local.get 1
        global.set 0
        local.get 1
        call 0
        global.get 0
        local.set 1
      end
      local.get 0
      local.get 1
      global.set 0
      call 1
      global.get 0
      local.set 1
      memory.grow
      drop
      i32.const 64
      i32.const 7
      local.get 0
      local.set 2
      local.get 1
      local.get 2
      i64.extend_i32_u
      i64.const 200
      i64.mul
      i64.sub
      local.tee 1
      i64.const 0
      i64.lt_s
      if  ;; label = @2
        local.get 1
        global.set 0
        local.get 1
        call 0
        global.get 0
        local.set 1
      end
      local.get 2
      memory.fill
      i32.const 0
      i32.const 64
      local.get 0
      local.set 2
      local.get 1
      local.get 2
      i64.extend_i32_u
      i64.const 200
      i64.mul
      i64.sub
      local.tee 1
      i64.const 0
      i64.lt_s
      if  ;; label = @2
        local.get 1
        global.set 0
        local.get 1
        call 0
        global.get 0
        local.set 1
      end
      local.get 2
      memory.copy
      i32.const 0
      i32.const 64
      i64.load
      i64.const 10
      local.set 5
      local.tee 4
      local.get 4
      i64.const 1
      local.get 5
      local.get 5
      i64.const -1
      i64.eq
      select
      local.tee 5
      i64.div_s
      local.get 5
      i64.mul
      i64.sub
      i64.store offset=8
      i32.const 0
      i32.const 64
      i64.load
      i64.const 10
      local.set 5
      local.tee 4
      local.get 4
      local.get 5
      i64.div_u
      local.get 5
      i64.mul
      i64.sub
      i64.store offset=16
      local.get 0
      memory.size
      local.set 3
      local.tee 2
      local.get 2
      i32.const 1
      local.get 3
      local.get 3
      i32.const -1
      i32.eq
      select
      local.tee 3
      i32.div_s
      local.get 3
      i32.mul
      i32.sub
      local.get 0
      i32.const 3
      local.set 3
      local.tee 2
      local.get 2
      local.get 3
      i32.div_u
      local.get 3
      i32.mul
      i32.sub
      i32.add
    end
    local.get 1
    global.set 0
    global.get 1
    i32.const 128
    i32.add
    global.set 1)
  (memory (;0;) 1 128)
  (global (;0;) (mut i64) (i64.const 0))
  (global (;1;) (mut i32) (i32.const 131072))
  (global (;2;) (mut i32) (i32.const 2147483647))
  (export "memory" (memory 0))
  (export "user_entrypoint" (func 3))
  (export "tercet_gas" (global 0))
  (export "tercet_stack" (global 1)))
