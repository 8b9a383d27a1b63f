def handle_order_result(order):
    if order['status'] == 'FULFILLED':
        print(f"✅ Success: {order['fulfilled_quantity']} cards delivered")
        print(f"Cost: {order['fulfilled_amount']} DA")

        # Process each card
        for i, card in enumerate(order['cards']):
            print(f"Card {i + 1}: {card['value']}")
            # Encrypt and deliver to customer

    elif order['status'] == 'PARTIALLY_FILLED':
        print(f"⚠️ Partial: {order['fulfilled_quantity']}/{order['quantity']} cards")
        print(f"Charged: {order['fulfilled_amount']} DA")

        refund = (order['quantity'] - order['fulfilled_quantity']) * order['price_per_card']
        print(f"Refunded: {refund} DA")

        # Deliver available cards
        for card in order['cards']:
            print(f"Delivered: {card['value']}")

    elif order['status'] == 'REFUNDED':
        print('❌ Order failed - full refund issued')
