import requests
import os

def check_order_status(order_id):
    response = requests.get(
        f'https://api.oneclickdz.com/v3/gift-cards/checkOrder/{order_id}',
        headers={'X-Access-Token': os.getenv('API_KEY')}
    )

    response.raise_for_status()
    return response.json()['data']

# Usage
order_id = '6901616fe9e88196b4eb64b3'
order = check_order_status(order_id)

print(f"Status: {order['status']}")
print(f"Quantity: {order['quantity']}")

if 'cards' in order:
    print(f"Cards delivered: {len(order['cards'])}")
