import time

def poll_order_until_complete(order_id, max_attempts=60):
    for attempt in range(1, max_attempts + 1):
        print(f"Checking order status ({attempt}/{max_attempts})...")

        order = check_order_status(order_id)

        # Order is complete
        if order['status'] in ['FULFILLED', 'PARTIALLY_FILLED', 'REFUNDED']:
            print(f"Order completed: {order['status']}")
            return order

        # Wait 5 seconds before next check
        if attempt < max_attempts:
            time.sleep(5)

    raise Exception('Order still processing after timeout')

# Usage
try:
    order = poll_order_until_complete('6901616fe9e88196b4eb64b3')

    if order['status'] == 'FULFILLED':
        print(f"Success! Cards: {len(order['cards'])}")
    elif order['status'] == 'PARTIALLY_FILLED':
        print(f"Partial delivery: {order['fulfilled_quantity']}/{order['quantity']}")
    else:
        print('Order failed and refunded')
except Exception as e:
    print(f"Error: {e}")
