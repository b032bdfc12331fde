// SPDX-License-Identifier: MIT
// The chat that the documentation of Socket.IO suggests, on Node: what roombench's socketio dialect needs and no more.
// It stores nothing, knows nobody and refuses nothing. usage: node server.mjs PORT
import { createServer } from 'node:http';
import { Server } from 'socket.io';

let rooms = 0;
let messages = 0;

function answer(request, response) {
  const isRoom = request.url === '/api/chat/rooms';
  request.resume();
  response.writeHead(request.method === 'POST' ? 201 : 200, { 'Content-Type': 'application/json' });
  response.end(JSON.stringify(isRoom ? { id: ++rooms } : { token: 'none' }));
}

const server = createServer(answer);
const io = new Server(server);

// The fields of roomd's new_message, so that both send as many bytes.
function messageOf(data) {
  const id = String(++messages);
  const at = new Date().toISOString();
  return {
    id, uid: '00000000-0000-8000-8000-000000000000', conversation_id: data.conversationId, conversationId: data.conversationId,
    sender_id: 1, sender: { id: 1, username: 'bench' }, content: data.content, attachment_url: null, is_read: false, read_at: null,
    createdAt: at, updatedAt: at, seq: messages, rev: messages, clientMsgId: data.clientMsgId,
  };
}

io.on('connection', (socket) => {
  socket.on('join_conversation', (data, done) => {
    socket.join(`conversation_${data.conversationId}`);
    done({ ok: true });
  });
  socket.on('send_message', (data) => {
    io.to(`conversation_${data.conversationId}`).emit('new_message', messageOf(data));
  });
});

server.listen(Number(process.argv[2]), '127.0.0.1');
