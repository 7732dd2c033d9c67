INSERT INTO storage.buckets (id, name, public) VALUES ('avatars', 'avatars', true), ('invoices', 'invoices', false);
CREATE POLICY "Avatars are public" ON storage.objects FOR SELECT USING (bucket_id = 'avatars');
